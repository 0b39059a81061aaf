"""A prompt cache without any data structure: all earlier requests in a list, gone through again.

The reference for the simulator. It knows of a prefix only what the earlier requests did with it, in
their order; its time grows with their number.
"""

from contextkit.caching.blocks import REPLY, Block
from contextkit.usage import Usage


class Reference:
    def __init__(self, rules, shared=None, capacity=None):
        self.rules, self.shared, self.capacity = rules, shared or (lambda one, other: 0), capacity
        self.earlier = []
        self.used, self.lost = {}, {}  # prefix: number of the request that used, or displaced, it

    def send(self, sent):
        blocks = [block for block in sent.blocks if block.role != REPLY]
        read = {"blocks": self.longest, "points": self.at_points, "units": self.unit}
        tokens, length, writes = read[self.rules.match](blocks, sent)
        tokens = min(tokens, sent.tokens - self.rules.rest)
        tokens = tokens // self.rules.block * self.rules.block
        tokens = tokens if tokens >= self.rules.minimum else 0
        self.earlier.append((sent, blocks, length, writes))
        self.drop(blocks)
        if self.rules.match != "points":
            return Usage(sent.tokens, tokens)
        charged, start = {}, tokens
        for place, lifetime in sorted(writes.items()):
            end = size(blocks[:place])
            if end > start:
                charged[lifetime.name] = charged.get(lifetime.name, 0) + end - start
                start = end
        return Usage(sent.tokens, tokens, sum(charged.values()), cache_writes=charged)

    def drop(self, blocks):
        """Drop the block that was used least recently, until there is room; ends come first."""
        number = len(self.earlier)
        bare = [Block(block.key, block.tokens) for block in blocks]
        self.used |= dict.fromkeys((tuple(bare[:n]) for n in range(1, len(bare) + 1)), number)
        while self.capacity and sum(one[-1].tokens for one in self.used) > self.capacity:
            oldest = min(self.used, key=lambda prefix: (self.used[prefix], -len(prefix)))
            del self.used[oldest]
            self.lost[tuple(keys(oldest))] = number

    # What became of a prefix: (readable from, until, lifetime), or None.

    def state(self, prefix):
        entry = None
        for sent, blocks, length, writes in self.earlier[self.lost.get(tuple(keys(prefix)), 0) :]:
            whole = [*blocks, *sent.reply] if self.rules.replies else blocks
            if keys(whole[: len(prefix)]) != keys(prefix):
                continue
            start = sent.at if self.rules.timed_from == "sent" else sent.at + sent.ended
            alive = entry is not None and sent.at <= entry[1]
            readable = alive and entry[0] <= sent.at
            if readable and len(prefix) <= length:
                if self.rules.renewed_by == "hit":
                    entry = (entry[0], max(entry[1], start + entry[2]), entry[2])
            elif len(prefix) in writes:
                seconds = writes[len(prefix)].seconds
                seconds = float("inf") if seconds is None else seconds
                ends = self.rules.visible == "ends" or len(prefix) > len(blocks)
                since = sent.at + (sent.ended if ends else sent.begun)
                until = start + seconds
                if alive:
                    entry = (min(entry[0], since), max(entry[1], until), entry[2])
                else:
                    entry = (since, until, seconds)
        return entry

    def readable(self, prefix, at):
        entry = self.state(prefix)
        return entry is not None and entry[0] <= at <= entry[1]

    def longest(self, blocks, sent):
        whole = [*blocks, *sent.reply] if self.rules.replies else blocks
        length = 0
        while length < len(whole) and self.readable(whole[: length + 1], sent.at):
            length += 1
        writes = dict.fromkeys(range(1, len(whole) + 1), self.rules.lifetimes[0])
        common = min(length, len(blocks))
        tokens = size(blocks[:common])
        if common and self.unread(blocks[:common]):
            return tokens - self.rules.rest, length, writes
        if common < len(blocks):
            others = {
                other[common].key: other[common]
                for other in self.others()
                if len(other) > common
                and keys(other[:common]) == keys(blocks[:common])
                and self.readable(other[: common + 1], sent.at)
            }
            tokens += max(
                (self.shared(blocks[common], other) for other in others.values()), default=0
            )
        return tokens, length, writes

    def others(self):
        for sent, blocks, _, _ in self.earlier:
            yield [*blocks, *sent.reply] if self.rules.replies else blocks

    def unread(self, prefix):
        """Whether its last token was generated, and by no later request evaluated."""
        for sent, blocks, _, _ in self.earlier:
            whole = [*blocks, *sent.reply]
            if keys(whole[: len(prefix)]) == keys(prefix) and (
                len(prefix) <= len(blocks) or len(prefix) < len(whole)
            ):
                return False
        return True

    def unit(self, blocks, sent):
        whole = [*blocks, *sent.reply] if self.rules.replies else blocks
        length = max(
            (n for n in range(1, len(blocks) + 1) if self.readable(blocks[:n], sent.at)), default=0
        )
        parted = max((common(blocks, other) for other in self.others()), default=0)
        ends = {parted, len(blocks), len(whole)} - {0}
        return size(blocks[:length]), length, dict.fromkeys(ends, self.rules.lifetimes[0])

    def at_points(self, blocks, sent):
        rules = self.rules
        marked = [n for n, block in enumerate(blocks, 1) if block.point]
        known = {one.name: one for one in rules.lifetimes} | {"": rules.lifetimes[0]}
        writes = {n: known[blocks[n - 1].lifetime] for n in marked[-rules.points :]}
        ends = [n for n, block in enumerate(blocks, 1) if block.ends]
        if rules.automatic and ends and ends[-1] not in writes:
            writes[ends[-1]] = known[blocks[ends[-1] - 1].lifetime]
        searched = set(writes)
        if rules.looked_up is not None:
            searched |= {*marked[: rules.looked_up_first], *marked[-rules.looked_up :]}
        if rules.lookback_of == "blocks":
            back = rules.lookback or len(blocks)
            searched |= {n - i for n in writes for i in range(back) if n > i}
        elif rules.automatic and ends:
            searched |= set(ends[:-1] if rules.lookback is None else ends[:-1][-rules.lookback :])
        found = [n for n in searched if self.readable(blocks[:n], sent.at)]
        length = max(found, default=0)
        long = {n: one for n, one in writes.items() if size(blocks[:n]) >= rules.minimum}
        return size(blocks[:length]), length, long


def keys(blocks):
    return [block.key for block in blocks]


def size(blocks):
    return sum(block.tokens for block in blocks)


def common(one, other):
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a.key != b.key),
        min(len(one), len(other)),
    )
