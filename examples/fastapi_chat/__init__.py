"""A chat backend: many users, streamed replies, conversations that survive; see README.md."""
