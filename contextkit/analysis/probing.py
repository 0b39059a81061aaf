"""A probe: what a provider's cache does that its documentation leaves open, found by asking it.

A hit proves: nobody else has sent the prefix. A miss proves nothing, since a provider may miss at
will. So what missed is asked again, as often as the share of misses so far among prefixes that were
in the cache, as a hit showed, makes it needed for an error of at most 0.1 %. The share is taken by
Laplace's rule: one more miss and one more hit than were seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil, gcd, log, log2, prod
from typing import Any

from contextkit.analysis.asking import Asker, Message, Seen, Spent
from contextkit.analysis.findings import Finding, Findings
from contextkit.errors import InputError, ProfileError
from contextkit.profiles import CacheRules, Profile, profile_for

ROLES = ("system", "user", "assistant", "tool")

_LARGE = 2_600, 6_000  # tokens to begin with where the minimum is not known
_AGAIN = 6  # times that a prefix which must be cached is asked for
_GIVEN_UP = 3  # of these, where none was a hit
_ERROR = 0.001  # of taking for absent what is in the cache
_MARGIN = 100_000  # tokens for a provider that is not as its profile says
_TAIL = 12  # words behind a prefix
_REPLY = 120  # tokens of a reply that another request can overtake
_USUAL = (60, 120, 180, 240, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
_CACHE_CONTROL: Mapping[str, Any] = {"cache_control": {"type": "ephemeral"}}


def probe(
    client: Any,
    model: str,
    *,
    mode: str = "implicit",
    profile: Profile | None = None,
    budget: int | None = None,
    ttl: float | None = None,
    options: Mapping[str, Any] | None = None,
    settle: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    seed: int | None = None,
) -> Findings:
    """Find out what a provider's prompt cache does, by requests with prefixes of its own.

    Args:
        client: with `chat.completions.create`, such as `openai.OpenAI()`; its retries are the
            only ones.
        model: the model's name; where no profile fits it, there is nothing to compare with.
        mode: which cache: `implicit`, `explicit` (by markers) or `session` (by a header).
        profile: facts about the model, where the name does not find them.
        budget: tokens of input and output that are not passed; by default twice what
            `Probing.expected` says, and some more. Where they end, what is known by then is given.
        ttl: seconds that an entry is waited for at most, to find out how long it lives; None does
            not wait. All in all it may take five times as long.
        options: further parameters of each request.
        settle: seconds between a request and the one that looks for what it left.
        clock, sleep: the time, in seconds.
        seed: of the prefixes; None draws others in every run.

    Raises:
        ProfileError: when the model has no cache of that kind.
        Exception: the client's own errors.
    """
    probing = Probing(
        client,
        model,
        mode=mode,
        profile=profile,
        budget=budget,
        ttl=ttl,
        options=options,
        settle=settle,
        clock=clock,
        sleep=sleep,
        seed=seed,
    )
    for _ in probing.run():
        pass
    return probing.findings


class Probing:
    """A probe that can be watched. The arguments are those of `probe`.

    Attributes:
        findings: what is known so far.
        profile: that the model has; None for none.
        expected: about how many tokens it will take.
        budget: how many it takes at most.
    """

    def __init__(
        self,
        client: Any,
        model: str,
        *,
        mode: str = "implicit",
        profile: Profile | None = None,
        budget: int | None = None,
        ttl: float | None = None,
        options: Mapping[str, Any] | None = None,
        settle: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        seed: int | None = None,
    ) -> None:
        if mode not in ("implicit", "explicit", "session"):
            raise InputError(f"is implicit, explicit or session, not {mode!r:.60}", place="mode")
        self.profile = profile or _profile(model)
        rules = self.profile.cache(mode) if self.profile else None
        if self.profile is not None and rules is None:
            raise ProfileError(f"{self.profile.name} has no {mode} cache")
        self.rules = rules
        self.marker = dict(rules.marker if rules else _CACHE_CONTROL)
        self.marked = mode == "explicit" and bool(self.marker)
        self.ttl = ttl
        self.settle = settle
        self.expected = _expected(rules, ttl, self.marker)
        self.budget = 2 * self.expected + _MARGIN if budget is None else budget
        switches: dict[str, Any] = dict(options or {})
        if rules is not None and rules.headers:
            switches["extra_headers"] = {**rules.headers, **switches.get("extra_headers", {})}
        openai = self.profile is not None and self.profile.provider == "openai"
        self.asker = Asker(
            client,
            model,
            budget=self.budget,
            options=switches,
            reply="max_completion_tokens" if openai else "max_tokens",
            clock=clock,
            sleep=sleep,
            seed=seed,
        )
        self.findings = Findings(model, mode, rules, self.profile)
        self._least_reply = 16 if openai else 1  # below that some models of OpenAI refuse
        self._cold = 0  # tokens read of a prompt that was never sent: the template's own
        self._there = [0, 0]  # how often what was in the cache was missed, and read
        self._doubts: list[float] = []
        self._match = "blocks"
        self._enough = 0  # tokens of a prefix that is surely cached
        self._block = rules.block if rules else 1
        self._minimum = rules.minimum if rules else 0
        self._reads: set[int] = set()  # of requests that were sent twice as they were

    def run(self) -> Iterator[Finding]:
        """Ask, and give each finding as it is made."""
        try:
            for experiment in self._experiments():
                self._doubts = []
                for finding in experiment():
                    self.findings.add(finding)
                    yield finding
        except Spent:
            self.findings.stopped = (
                f"the next request could have passed the {self.budget:,} tokens allowed"
            )
        finally:
            self.findings.tokens = self.asker.spent
            self.findings.requests = self.asker.requests

    def _experiments(self) -> Iterator[Callable[[], Iterator[Finding]]]:
        yield self._hits
        if not self._enough:
            return
        yield self._matching
        yield self._minimum_of
        yield self._block_of
        if self._match == "blocks":
            yield self._slots
        yield self._form
        yield self._replies
        if self._match != "slots":
            yield self._visible
        if self.marker and self._match == "points":
            yield self._points
            yield self._lookback
            yield self._places
        if self.ttl and self._match != "slots":
            yield self._lifetime

    # -- one request, one trial --------------------------------------------------------------

    def _ask(self, messages: Sequence[Message], **more: Any) -> Seen:
        more.setdefault("reply", self._least_reply)
        return self.asker.ask(messages, **more)

    def _part(self, text: str, *, mark: bool = False) -> Message:
        return {"type": "text", "text": text, **(self.marker if mark else {})}

    def _user(self, *texts: str, mark: int | None = -1) -> Message:
        """A user message; where points are asked for, with one at the part of that number."""
        found = [self._part(text) for text in texts]
        if self.marked and mark is not None:
            found[mark] = self._part(texts[mark], mark=True)
        return {"role": "user", "content": found}

    def _prefix(self, tokens: float | None = None) -> str:
        return self.asker.words(self.asker.words_for(tokens or self._enough))

    def _tail(self) -> str:
        return self.asker.words(_TAIL)

    def _settle(self) -> None:
        """A moment, for a provider that stores an entry after it has answered."""
        if self.settle:
            self.asker.sleep(self.settle)

    def _hit(self, seen: Seen, share: float = 0.4) -> bool:
        return seen.read - self._cold > share * (seen.tokens - self._cold)

    def _ever(self, trial: Callable[[], bool]) -> bool:
        """Whether a trial succeeds once; that it never does is noted as a doubt."""
        repeats = self._repeats
        for number in range(repeats):
            if trial():
                self._there[0] += number
                self._there[1] += 1
                return True
        self._doubts.append(self._chance**repeats)
        return False

    @property
    def _chance(self) -> float:
        """Of a miss of what is in the cache."""
        missed, read = self._there
        return (missed + 1) / (missed + read + 2)

    @property
    def _repeats(self) -> int:
        """How often it is asked before it is believed that something is not in the cache."""
        return min(8, max(2, ceil(log(_ERROR) / log(self._chance))))

    def _finding(self, field: str, value: Any, seen: str, sure: float = 1.0) -> Finding:
        sure *= prod(1 - doubt for doubt in self._doubts)
        known = getattr(self.rules, field, None) if self.rules else None
        return Finding(field, value, seen, round(sure, 4), known)

    # -- what is found out -------------------------------------------------------------------

    def _hits(self) -> Iterator[Finding]:
        """Whether anything is cached at all, and how often what is cached is missed."""
        self._cold = self.asker.calibrate()
        known = self.rules
        size = ceil(1.5 * known.minimum) + 3 * known.block + 200 if known else 0
        sizes = [size] if size else []
        hits = 0
        for size in (*sizes, *(large for large in _LARGE if large > size)):
            messages = [self._user(self._prefix(size))]
            first = self._ask(messages)
            hits = 0
            for again in range(_AGAIN):
                self._settle()
                seen = self._ask(messages)
                if self._hit(seen):
                    hits += 1
                    self._reads.add(seen.read)
                elif again + 1 == _GIVEN_UP and not hits:
                    break
            if hits:
                self._enough = first.tokens
                break
        self._there = [_AGAIN - hits, hits]
        said = f"a request of {first.tokens:,} tokens was sent again {_AGAIN} times"
        if not hits:
            self.findings.stopped = (
                "nothing was read from a cache"
                if self.asker.reported
                else "the provider reports no tokens read from a cache"
            )
        yield Finding("hits", f"{hits} of {_AGAIN}", said)
        if 0 < hits < _AGAIN:
            missed = f"{_AGAIN - hits} of {_AGAIN} missed"
            yield self._finding("guaranteed", False, missed)  # noqa: FBT003 - a value like others

    def _matching(self) -> Iterator[Finding]:
        """Whether a prefix is read that was never marked and never ended a request."""
        third = False

        def second() -> bool:
            nonlocal third
            prefix = self._prefix()
            self._ask([self._user(prefix, self._tail())])
            self._settle()
            if self._hit(self._ask([self._user(prefix, self._tail())])):
                return True
            self._settle()
            third = self._hit(self._ask([self._user(prefix, self._tail())])) or third
            return False

        if self._ever(second):
            return  # blocks, or slots: that is found out once the block is known
        if third:
            self._match = "units"
            said = "what two requests began with was read by the third"
        else:
            self._match = "points"
            said = "what three requests began with was not read where no point was"
        yield self._finding("match", self._match, said)

    def _minimum_of(self) -> Iterator[Finding]:
        """The shortest prompt that is read when it is sent again, by halving."""
        low, high, read = 0, self._enough, max(self._reads)
        around = high - read if high - read < 16 else 0  # behind the prefix: template and service
        tokens, small = self._twice(1)
        if small:
            said = f"the shortest prompt, {tokens} tokens, was read when it was sent again"
            self._minimum = 0
            yield self._finding("minimum", 0, said)
            return
        low = tokens
        guesses = [guess + around for guess in self._guesses()]
        tries = 0
        while high - low > 1 and tries < 20:
            tries += 1
            between = [guess for guess in guesses if low < guess < high]
            target = between[0] if between else (low + high) // 2
            guesses = [guess for guess in guesses if guess != target]
            tokens, found = self._twice(self.asker.words_for(target))
            if found and tokens < high:
                high, read = tokens, found
            elif not found and tokens > low:
                low = tokens
        self._minimum = read if high - read < 16 else high
        said = f"{high:,} tokens were read when sent again, {low:,} were not"
        yield self._finding("minimum", self._minimum, said)

    def _guesses(self) -> list[int]:
        """Lengths to begin with: those that sources state, each with the one below."""
        if self.rules is None:
            return [1024, 1023]
        stated = [self.rules.minimum, self.rules.block]
        stated += [one.value for one in self.rules.conflicts if one.field == "minimum"]
        return [guess for value in stated if value > 1 for guess in (value, value - 1)]

    def _twice(self, words: int) -> tuple[int, int]:
        """The tokens of a fresh prompt, and those read when it is sent again; 0 for a miss."""
        messages = [self._user(self.asker.words(words))]
        tokens = self._ask(messages).tokens
        read = 0

        def again() -> bool:
            nonlocal read
            self._settle()
            seen = self._ask(messages)
            read = seen.read if self._hit(seen) else 0
            return bool(read)

        if self._ever(again):
            self._reads.add(read)
        return tokens, read

    def _block_of(self) -> Iterator[Finding]:
        """What the tokens read are multiples of."""
        known = self.rules.block if self.rules else 128
        span = max(60, 6 * known)
        start = max(self._minimum, known)
        if self._match == "blocks":
            for larger in (1, 10, 40):  # blocks may be larger than was thought
                reads, rest = self._cut(start, larger * span)
                if len(reads) > 2:
                    break
        else:
            for step in range(1, 9):
                if len(self._reads) < 6:
                    size = start + step * (1.37 * known + 20)
                    self._twice(self.asker.words_for(size))
            reads, rest = self._reads, 0
        block = gcd(*reads)
        if len(reads) < 3 or (rest and block > 2 * rest + 32):
            yield self._finding("block", None, f"read were only {sorted(reads)} tokens")
            return
        self._block = block
        if self._minimum <= block:
            self._minimum = 0 if block > 1 else self._minimum
        self._enough = max(self._minimum, block) + block + 100
        said = f"read were {len(reads)} different numbers of tokens, all multiples of {block:,}"
        yield self._finding("block", block, said, 1 - 0.5 ** (len(reads) - 1))
        if self._minimum == 0 and self.findings["minimum"]:
            self._doubts = []
            yield self._finding("minimum", 0, "the shortest that was read is one block")

    def _cut(self, start: int, span: int) -> tuple[set[int], int]:
        """Tokens read of ever shorter beginnings of one prompt, and the most that was left."""
        words = self.asker.words(self.asker.words_for(start + span)).split()
        self._ask([self._user(" ".join(words))])
        least = self.asker.words_for(start) + 1
        reads, rest = set(), 0
        steps = 9
        for step in range(1, steps):
            # Uneven steps: even ones could all be multiples of the same number by themselves.
            count = len(words) - round((len(words) - least) * (step - 0.37 * (step % 2)) / steps)
            kept = " ".join(words[:count])
            read = 0

            def shorter(kept: str = kept) -> bool:
                nonlocal read
                self._settle()
                seen = self._ask([self._user(f"{kept} {self._tail()}")])
                read = seen.read
                return self._hit(seen)

            if self._ever(shorter):
                reads.add(read)
                rest = max(rest, round(self.asker.tokens_of(count)) - read)
        return reads, rest

    def _slots(self) -> Iterator[Finding]:
        """Whether an unrelated request in between displaces what was there, as in a slot."""

        def stays() -> bool:
            messages = [self._user(self._prefix())]
            self._ask(messages)
            self._ask([self._user(self._prefix())])
            return self._hit(self._ask(messages))

        said = "two requests that begin alike share what they begin with"
        if self._block == 1 and not self._ever(stays):
            self._match = "slots"
            said += ", and another one in between displaces it"
        yield self._finding("match", self._match, said)

    def _form(self) -> Iterator[Finding]:
        """Whether a string is the same prefix as one text part."""

        def same() -> bool:
            prefix, tail = self._prefix(), self._tail()
            for content in (prefix, [self._part(prefix)]):
                seen = self._ask([{"role": "system", "content": content}, self._user(tail)])
                self._settle()
            return self._hit(seen)

        alike = self._ever(same)
        said = "a system prompt sent as a string was {}read when sent as one text part"
        yield self._finding("string form", alike, said.format("" if alike else "not "))

    def _replies(self) -> Iterator[Finding]:
        """Whether the tokens of a reply are read when it is sent back."""
        block, wanted = self._block, 64
        # The prompt ends a little before a block does, so that the reply ends that block.
        size = block * ceil((max(self._minimum, block) + 60) / block) - min(30, block - 1)
        size = max(size, 60)
        short = True

        def read() -> bool:
            nonlocal short
            text = f"{self._prefix(size - 10)} Tell a long story with these words."
            first = self._ask([self._user(text)], reply=wanted)
            if first.output < 40:
                return False
            short = False
            self._settle()
            messages = [self._user(text), {"role": "assistant", "content": first.text}]
            return self._ask([*messages, self._user(self._tail())]).read > first.tokens

        found = self._ever(read)
        if short:
            said = f"the reply was too short for it: {wanted} tokens were asked for"
            yield self._finding("replies", None, said)
            return
        said = "a reply sent back was {}read"
        yield self._finding("replies", found, said.format("" if found else "not "))

    def _visible(self) -> Iterator[Finding]:
        """Whether an entry can be read while the reply to the request that wrote it comes."""
        short = True

        def overtaken() -> bool:
            nonlocal short
            text = f"{self._prefix()} Tell a long story with these words."
            first, second = self.asker.overtake([self._user(text)], reply=_REPLY)
            short = short and first.output < 32
            return self._hit(second)

        begins = self._ever(overtaken)
        if short:
            yield self._finding("visible", None, "the reply was too short to be overtaken")
            return
        said = "a request sent while the first reply was coming {} the prefix"
        value = "begins" if begins else "ends"
        yield self._finding("visible", value, said.format("read" if begins else "did not read"))

    # -- markers -----------------------------------------------------------------------------

    def _points(self) -> Iterator[Finding]:
        """How many markers count, and what one too many does."""
        count = (self.rules.points if self.rules else 4) + 1
        refused = 0
        said = ""
        while True:
            counted, refusal = self._counted(count)
            if counted is None:
                refused, said = count, refusal
                count -= 1
                if not count:
                    yield self._finding("points", None, f"one marker was refused: {said:.200}")
                    return
            elif len(counted) == count and not refused and count < 40:
                count *= 2
            else:
                break
        value = len(counted)
        if refused:
            said = f"{value} counted, {refused} were refused: {said:.200}"
            yield self._finding("points", value, said)
            yield self._finding("overflow", "error", f"{refused} were refused")
            return
        said = f"of {count} markers in a request {value} counted"
        if value == count:
            yield self._finding("points", None, f"{said}: there may be more")
            return
        yield self._finding("points", value, said)
        last = counted == set(range(count - value, count))
        which = "the last ones" if last else f"numbers {sorted(n + 1 for n in counted)}"
        yield self._finding("overflow", "last" if last else None, f"{which} of {count} counted")

    def _counted(self, count: int) -> tuple[set[int] | None, str]:
        """Which of so many markers in one request wrote an entry; None where it was refused."""
        counted: set[int] = set()
        repeats = self._repeats
        for _ in range(repeats):
            # Each point so far behind the one before that a block tells them apart.
            apart = self.asker.words_for(self._block) + 40
            texts = [self._prefix(), *(self.asker.words(apart) for _ in range(count - 1))]
            marked = [self._part(text, mark=True) for text in texts]
            tail = self._part(self._tail())
            written = self._ask([{"role": "user", "content": [*marked, tail]}])
            if written.refused:
                return None, written.refused
            self._settle()
            for number in range(count):
                if number in counted:
                    continue
                plain = [self._part(text) for text in texts[:number]]
                content = [*plain, marked[number], self._part(self._tail())]
                seen = self._ask([{"role": "user", "content": content}])
                behind = self.asker.tokens_of(_TAIL + 20)
                if seen.read > seen.tokens - behind - self._block - 16:
                    counted.add(number)
            if len(counted) == count:
                return counted, ""
        self._doubts.append(self._chance**repeats)
        return counted, ""

    def _lookback(self) -> Iterator[Finding]:
        """How far before a point an entry is found, by halving."""
        messages = not self.marked
        known = self.rules.lookback if self.rules else 20
        own = 0 if messages else 1  # the block of the point counts as one of its look-back
        low, high = 0, 65
        guesses = [known - own, known - own + 1] if known else [64]
        while high - low > 1:
            between = [guess for guess in guesses if low < guess < high]
            distance = between[0] if between else (low + high) // 2
            if self._ever(partial(self._found_at, distance, messages=messages)):
                low = distance
            else:
                high = distance
        what = "messages" if messages else "content blocks"
        if high == 65:
            said = f"an entry was found {low} {what} before the point, the farthest that was tried"
            yield self._finding("lookback", None, said)
            return
        said = f"an entry was found {low} {what} before the point, not {high}"
        yield self._finding("lookback", low + own, said)

    def _found_at(self, distance: int, *, messages: bool) -> bool:
        prefix = self._prefix(self._enough + 40)
        first = self._ask([self._user(prefix)])
        self._settle()
        added = [self.asker.words(1) for _ in range(distance)]
        if messages:
            request = [self._user(prefix), *(self._user(text) for text in added)]
        else:
            request = [self._user(prefix, *added)]
        return self._ask(request).read > 0.8 * first.tokens

    def _places(self) -> Iterator[Finding]:
        """What a marker does at each place where one could stand."""
        carriers = []
        outcomes = {}
        for place in (*ROLES, "message", "tool definition"):
            outcomes[place] = outcome = self._marker_at(place)
            if place in ROLES and outcome == "cached":
                carriers.append(place)
        known = self.rules.carriers if self.rules else ()
        # Not every provider knows a developer: what is not asked about is taken as it is known.
        carriers += [role for role in known if role not in ROLES]
        carriers.sort(key=(*known, *ROLES).index)
        said = ", ".join(f"{place} {outcome}" for place, outcome in outcomes.items())
        yield self._finding("carriers", tuple(carriers), f"in content blocks of: {said}")
        for place in ("message", "tool definition"):
            yield self._finding(
                f"marker on {place}", outcomes[place], f"{place}: {outcomes[place]}"
            )

    def _marker_at(self, place: str) -> str:
        """`cached`, `ignored` or `refused`: what a marker at a place alone does."""
        refused = False

        def cached() -> bool:
            nonlocal refused
            text = self._prefix(self._enough + 60)
            first = self._ask(**self._with_marker(place, text))
            if first.refused:
                refused = True
                return False
            self._settle()
            seen = self._ask(**self._with_marker(place, text))
            return self._hit(seen)

        for _ in range(self._repeats):
            if cached():
                return "cached"
            if refused:
                return "refused"
        self._doubts.append(self._chance**self._repeats)
        return "ignored"

    def _with_marker(self, place: str, text: str) -> dict[str, Any]:
        """A request in which a long text has the only marker, with a tail of its own."""
        part = [self._part(text, mark=True)]
        end: Message = {"role": "user", "content": self._tail()}
        question: Message = {"role": "user", "content": "Which word?"}
        function = {"name": "look_up", "parameters": {"type": "object", "properties": {}}}
        call = {"id": "call1", "type": "function", "function": {"name": "look_up"}}
        calls = [{**call, "function": {"name": "look_up", "arguments": "{}"}}]
        tool = {"type": "function", "function": function}
        if place == "tool":
            asked = {"role": "assistant", "content": None, "tool_calls": calls}
            result = {"role": "tool", "tool_call_id": "call1", "content": part}
            return {"messages": [question, asked, result, end], "tools": [tool]}
        if place == "assistant":
            return {"messages": [question, {"role": "assistant", "content": part}, end]}
        if place == "message":
            message = {"role": "user", "content": text, **self.marker}
            return {"messages": [message, {"role": "assistant", "content": "Yes."}, end]}
        if place == "tool definition":
            described = {**tool, "function": {**function, "description": text}, **self.marker}
            return {"messages": [end], "tools": [described]}
        if place == "system":
            return {"messages": [{"role": "system", "content": part}, end]}
        content = [*part, self._part(self._tail())]
        return {"messages": [{"role": "user", "content": content}]}

    # -- time --------------------------------------------------------------------------------

    def _lifetime(self) -> Iterator[Finding]:
        """How long an entry that nobody asks for can be read, in waves of prefixes."""
        limit = self.ttl or 0.0
        known = self.rules.ttl if self.rules else None
        waits = {limit}
        wait = 30.0
        while wait < limit:
            waits.add(wait)
            wait *= 2
        if known:
            waits |= {near for near in (0.95 * known, 1.05 * known) if near <= limit}
        low, high = self._wave(sorted(waits), 0.0, None)
        while low and high and high > 1.12 * low:
            step = (high - low) / 4
            low, high = self._wave([low + step * n for n in (1, 2, 3)], low, high)
        if not high:
            said = f"an entry was read {low:,.0f} s after it was written, the longest wait"
            yield Finding("ttl", None, said, 1.0, known)
            return
        usual = [seconds for seconds in _USUAL if low < seconds <= high]
        value = float(known if known and low <= known <= high else usual[0] if usual else low)
        said = f"an entry was read {low:,.0f} s after it was written, not {high:,.0f} s after"
        yield self._finding("ttl", value, said)
        if not low or 1.4 * low <= high:
            return
        self._doubts = []
        yield self._renewal(low)

    def _renewal(self, low: float) -> Finding:
        """Whether being read starts the lifetime again."""
        prefixes = [self._written() for _ in range(self._repeats + 2)]
        for share in (0.7, 1.4):
            asked = len(prefixes)
            hits = []
            for messages, at in prefixes:
                self.asker.sleep(max(0.0, at + share * low - self.asker.clock()))
                hits.append(self._hit(self._ask(messages)))
            prefixes = [pair for pair, hit in zip(prefixes, hits, strict=True) if hit]
        if not prefixes:
            self._doubts.append(self._chance**asked)
        said = f"what was read after {0.7 * low:,.0f} s was {{}}read after {1.4 * low:,.0f} s"
        value = "hit" if prefixes else "nothing"
        return self._finding("renewed_by", value, said.format("" if prefixes else "not "))

    def _written(self) -> tuple[list[Message], float]:
        messages = [self._user(self._prefix())]
        self._ask(messages)
        return messages, self.asker.clock()

    def _wave(
        self, waits: Sequence[float], low: float, high: float | None
    ) -> tuple[float, float | None]:
        """The longest wait after which a prefix was read, and the shortest after which none was.

        All prefixes are written first, so that the whole takes as long as the longest wait.
        """
        written = [(wait, [self._written() for _ in range(self._repeats)]) for wait in waits]
        missed = [] if high is None else [high]
        for wait, prefixes in written:
            hit = False
            for messages, at in prefixes:
                self.asker.sleep(max(0.0, at + wait - self.asker.clock()))
                after = self.asker.clock() - at
                if self._hit(self._ask(messages)):
                    low, hit = max(low, after), True
                    break
            if not hit:
                self._doubts.append(self._chance**self._repeats)
                missed.append(wait)
        return low, min((wait for wait in missed if wait > low), default=None)


def _profile(model: str) -> Profile | None:
    try:
        return profile_for(model)
    except ProfileError:
        return None


def _expected(rules: CacheRules | None, ttl: float | None, marker: Mapping[str, Any]) -> int:
    """About how many tokens a probe takes where little is missed that was in the cache."""
    least = rules.minimum if rules else _LARGE[0]
    block = rules.block if rules else 128
    size = max(least, block) + block + 120
    requests = (_AGAIN + 1) * 1.5  # is anything cached
    requests += 9 + (8 if least else 2) + 8  # match, minimum, block
    requests += 2 + 2 * 2 + 2 * 2  # string form, replies, visible
    if marker and (rules is None or rules.match == "points"):
        requests += 10 + 8 + 20  # points, look-back, places
    if ttl:
        requests += 2 * 3 * (4 + max(0.0, log2(max(ttl, 30) / 30)))
    return int(round(requests * size, -3)) + 1_000
