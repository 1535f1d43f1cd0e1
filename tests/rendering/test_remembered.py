from fakes import ByteTokenizer

from fireact_ray.rendering.remembered import RememberingTokenizer


class CountingTokenizer(ByteTokenizer):
    n_encoded = 0

    def encode(self, text, follows="start"):
        self.n_encoded += 1
        return super().encode(text, follows)


def test_a_text_is_encoded_once_and_its_ids_are_those_of_the_tokenizer():
    inner = CountingTokenizer()
    tokenizer = RememberingTokenizer(inner)
    first, again = tokenizer.encode("Zem"), tokenizer.encode("Zem")
    assert first == again == ByteTokenizer().encode("Zem")
    assert inner.n_encoded == 1
    assert tokenizer.encode_batch(["Zem", "Dun"], "text") == ByteTokenizer().encode_batch(["Zem", "Dun"], "text")
    assert (tokenizer.eos_id, tokenizer.fingerprint) == (inner.eos_id, inner.fingerprint)
    assert tokenizer.decode(first) == "Zem"


def test_what_a_caller_does_to_its_ids_is_no_other_caller_s():
    tokenizer = RememberingTokenizer(ByteTokenizer())
    tokenizer.encode("Zem").append(0)
    assert tokenizer.encode("Zem") == ByteTokenizer().encode("Zem")
