"""The descriptors of a seedling, made before anybody knows who will be at their other ends."""

from __future__ import annotations

import os
import socket

from lambent.sandbox import SeedlingSpec


class Ends:
    """The socket and the pipe of a seedling: its own ends until they are handed over, and ours until they are taken."""

    def __init__(self, seedling: SeedlingSpec) -> None:
        self._channel, self._inner_channel = socket.socketpair()
        self._output, self._inner_output = os.pipe2(os.O_CLOEXEC)
        self._numbers = (seedling.channel, seedling.output[0])
        self._is_inner_open = self._is_open = True

    @property
    def inner(self) -> list[int]:
        """What the stem gets, in the order of `lambent.sandbox.seedling.grow`."""
        return [self._inner_output, self._inner_channel.fileno(), self._channel.fileno()]

    def close_inner(self) -> None:
        """Close the seedling's own ends here. May be repeated."""
        if self._is_inner_open:
            self._is_inner_open = False
            self._inner_channel.close()
            os.close(self._inner_output)

    def take(self) -> dict[int, int]:
        """See `SandboxProcess.take_given`."""
        if not self._is_open:
            return {}
        self._is_open = False
        return dict(zip(self._numbers, (self._channel.detach(), self._output), strict=True))

    def close(self) -> None:
        """Close what nobody has taken. May be repeated."""
        self.close_inner()
        for descriptor in self.take().values():
            os.close(descriptor)
