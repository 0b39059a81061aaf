"""contextkit beside other libraries, in one run: `python -m benchmarks.peers`.

Each library runs in a child process of its own environment (`child`), where a small adapter gives
it a growing conversation as its users would, and hands back the messages of each request. All that
is measured of them is measured here, in one place, for all alike: time per turn (`times`), what the
requests cost (`costs`), what is wrong with them (`correctness`), what a server has to compute for
them (`server`).
"""
