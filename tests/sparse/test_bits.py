from __future__ import annotations

import pytest
import torch

from raygp.sparse import count_bits, digest, pack_bits, unpack_bits


def test_the_first_connection_is_the_lowest_bit() -> None:
    mask = torch.tensor([[1, 0, 1, 0, 0], [0, 0, 0, 1, 1]]).bool()
    assert pack_bits(mask).tolist() == [1 + 4, 1 + 2]  # Elements 0 and 2; element 8 and 9.


@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (8,), (9,), (3, 5), (16,), (2, 3, 3, 3), (1, 65), ()])
def test_bits_come_back_as_they_were_packed(shape: tuple[int, ...]) -> None:
    for seed in range(5):
        mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5
        packed = pack_bits(mask)
        assert packed.dtype == torch.uint8 and packed.shape == (-(-mask.numel() // 8),)
        assert torch.equal(unpack_bits(packed, shape), mask)
        assert count_bits(packed) == int(mask.sum())


def test_bits_are_in_row_major_order_whatever_the_strides() -> None:
    mask = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    assert torch.equal(pack_bits(mask.t()), pack_bits(mask.t().contiguous()))
    assert not torch.equal(pack_bits(mask.t()), pack_bits(mask))


@pytest.mark.parametrize(("size", "shape"), [(1, (9,)), (2, (8,)), (2, (3, 6)), (0, (1,))])
def test_packed_bits_of_another_size_are_refused(size: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"^{size} bytes of mask cannot hold"):
        unpack_bits(torch.zeros(size, dtype=torch.uint8), shape)


def test_the_digest_changes_with_every_single_bit() -> None:
    mask = torch.rand(3, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    digests = {digest({"a": mask})}
    for i in range(mask.numel()):
        flipped = mask.clone()
        flipped.view(-1)[i] ^= True
        digests.add(digest({"a": flipped}))
    assert len(digests) == 16
    assert all(len(d) == 16 and int(d, 16) >= 0 for d in digests)


def test_the_digest_changes_with_names_and_shapes_but_not_with_order() -> None:
    a, b = torch.ones(2, 4).bool(), torch.zeros(8).bool()
    same = [{"a": a, "b": b}, {"b": b, "a": a}, {"a": a.clone(), "b": b.clone()}]
    other = [{"a": b, "b": a}, {"a": a, "c": b}, {"a": a.view(4, 2), "b": b}, {"a": a}, {"a": a, "b": b[:7]}, {}]
    assert len({digest(masks) for masks in same}) == 1
    assert len({digest(masks) for masks in same + other}) == 1 + len(other)
