"""Bytes as a full disk, a bad line or somebody with a grudge would leave them."""

from hypothesis import strategies as st

BYTES = st.one_of(
    st.sampled_from([b"\0", b"\n", b" ", b"-", b"..", b"/", b'"', b"[", b"\x1b", b"\xff"]), st.binary(max_size=6)
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Cut the bytes off, take some away or put others in, at a few places."""
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(whole)))
        end = draw(st.one_of(st.just(len(whole)), st.integers(start, min(len(whole), start + 8))))
        whole = whole[:start] + draw(BYTES) + whole[end:]
    return whole
