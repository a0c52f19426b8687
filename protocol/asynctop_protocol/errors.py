"""What a peer can cause."""


class ProtocolError(Exception):
    """The peer sent what the protocol does not allow. The text says what was expected and what was found."""


class VersionMismatch(ProtocolError):  # noqa: N818
    """The peer speaks another major version. The text says both versions and what to do."""
