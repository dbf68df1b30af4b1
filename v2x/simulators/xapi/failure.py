# SPDX-License-Identifier: Apache-2.0
"""The one way a simulated call fails: a code of the datamodel and its parameters, all strings."""


class ApiError(Exception):
    """A XAPI failure. On the wire it is the list `[code, parameter, …]`, never a fault."""

    def __init__(self, code: str, *params: object) -> None:
        super().__init__(code, *params)
        self.code = code
        self.params = tuple(str(p) for p in params)

    @property
    def description(self) -> list[str]:
        """The ErrorDescription: code first, strings only."""
        return [self.code, *self.params]


class AsyncRefused(Exception):
    """`Async.` was asked of a call that has no such form; the only case that is answered with a fault."""


class StreamBroken(Exception):
    """A disk stream ended early or breaks a rule of its format."""


class StreamEnded(StreamBroken):
    """The stream stopped before its end: the connection was lost or the client sent too little."""


class DeviceFull(StreamBroken):
    """A write did not fit: the end of the VDI, or no room on the SR."""


def handle_invalid(cls: str, ref: str) -> ApiError:
    return ApiError("HANDLE_INVALID", cls, ref)


def internal(text: str) -> ApiError:
    return ApiError("INTERNAL_ERROR", text)


def invalid_value(field: str, value: object) -> ApiError:
    return ApiError("INVALID_VALUE", field, value)
