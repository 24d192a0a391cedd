"""Records that say what they said before."""

from auditor.kernel.bpf.interned import Interned


def test_what_says_the_same_is_the_same_object_from_one_pass_to_the_next() -> None:
    made: list[bytes] = []

    def make(said: bytes) -> list[bytes]:
        made.append(said)
        return [said]

    records = Interned(make)
    passes = []
    for told in ([b"a", b"b"], [b"b", b"c"], [b"a", b"c"]):
        records.begin()
        passes.append({said: records.of(said) for said in told})
        assert records.end() == [[said] for said in told]
    assert passes[0][b"b"] is passes[1][b"b"]
    assert passes[1][b"c"] is passes[2][b"c"]
    assert made == [b"a", b"b", b"c", b"a"], "what a pass did not tell is forgotten"
