"""Conversations to replay, drawn at random, and settings that count four characters a token."""

from __future__ import annotations

import random

import contextkit as ck
from contextkit.analysis.policies import Setting
from contextkit.analysis.transcripts import Transcript
from contextkit.tokens import counter_for
from tests.support import Characters, Messages, answer, call, result, system, user


def setting(model: str, cache: str, limit: int, **figures) -> Setting:
    """A setting of a model; figures change its cache, so that short requests are cached as well."""
    profile = ck.profile_for(model)
    if cache:
        profile = profile.with_cache(cache, **figures)
    counter = counter_for(profile, Characters())
    return Setting(profile, cache, counter, limit, limit // 2)


def drawn(seed: int, *, requests: int = 30, agent: bool = False, pins: bool = False) -> Transcript:
    """A conversation of so many requests, in which nothing is said twice."""
    draw = random.Random(seed)
    messages: Messages = [system("s" * draw.randrange(20, 400))]
    waits = [0.0]

    def said(message: dict, wait: float) -> None:
        messages.append(message)
        waits.append(wait)

    made = turn = 0
    while made < requests:
        turn += 1
        if pins and draw.random() < 0.1:
            said(system(f"pinned {turn}"), 1.0)
        said(user(f"{turn} " + "u" * draw.randrange(4, 300)), draw.choice([1.0, 30.0, 400.0]))
        for step in range(draw.randrange(4) if agent else 0):
            made += 1
            ids = [f"c{turn}.{step}.{n}" for n in range(draw.choice([1, 1, 2]))]
            said(call(*ids), 2.0)
            for one in ids:
                said(result(one, one + "r" * min(400, int(draw.lognormvariate(4, 1)))), 1.0)
        made += 1
        said(answer(f"{turn} " + "a" * draw.randrange(4, 300)), 2.0)
    times, now = [], 0.0
    for wait in waits:
        now += wait
        times.append(now)
    return Transcript(f"drawn {seed}", messages, times=tuple(times))
