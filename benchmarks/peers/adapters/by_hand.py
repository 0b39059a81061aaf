"""Reference points, written by hand: what an application without any library does."""

from __future__ import annotations

from benchmarks.peers.library import Message, Setting


class AppendOnly:
    """Everything, always: the least that a request can cost for each token, without any limit."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.messages: list[Message] = []
        self.sizes: list[int] = []
        self.start = 0

    def take(self, message: Message) -> Message:
        """As it is."""
        return message

    async def append(self, own: Message) -> None:
        """Count it once, and keep it."""
        self.messages.append(own)
        self.sizes.append(self.setting.counter.message(own))

    async def build(self) -> list[Message]:
        """All messages."""
        return self.messages[self.start :]

    def give(self, built: list[Message]) -> list[Message]:
        """Behind the system prompt."""
        system = self.setting.system
        return [system, *built] if system else built

    def whole(self, start: int) -> int:
        """The next place at which no result loses its call."""
        while start < len(self.messages) and self.messages[start]["role"] == "tool":
            start += 1
        return start


class Floor(AppendOnly):
    """Encodes the new message and slices the list: nobody who counts tokens can do less."""

    async def append(self, own: Message) -> None:
        """Encode it."""
        self.setting.count(own["content"])
        self.messages.append(own)

    async def build(self) -> list[Message]:
        """The newest messages."""
        return self.messages[-self.setting.window :]


class SlidingWindow(AppendOnly):
    """The newest messages that fit, at every request: the function that everybody writes."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.held = 0
        self.room = setting.room - setting.counter.fixed(setting.tools)

    async def append(self, own: Message) -> None:
        """Count it once, and keep it."""
        await super().append(own)
        self.held += self.sizes[-1]

    async def build(self) -> list[Message]:
        """Drop the oldest until the rest fits."""
        start = self.start
        while self.held > self.room and start < len(self.messages) - 1:
            self.held -= self.sizes[start]
            start += 1
        whole = self.whole(start)
        self.held -= sum(self.sizes[start:whole])
        self.start = whole
        return self.messages[self.start :]


class DropHalf(SlidingWindow):
    """Drops the older half when it is full: few cuts, far apart."""

    async def build(self) -> list[Message]:
        """As it is while it fits; else no more than half."""
        if self.held > self.room:
            start = self.start
            while self.held > self.room // 2 and start < len(self.messages) - 1:
                self.held -= self.sizes[start]
                start += 1
            whole = self.whole(start)
            self.held -= sum(self.sizes[start:whole])
            self.start = whole
        return self.messages[self.start :]
