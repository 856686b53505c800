"""The script that chooses constants."""

from evals.tune import GRID, _held_out


def test_left_out_set_has_no_say() -> None:
    """Each set is given what is best on the mean of the others, not on itself."""
    table = {0.1: [1.0, 0.2, 0.2], 0.2: [0.0, 0.5, 0.4], 0.3: [0.8, 0.3, 0.5]}
    assert [_held_out(table, number) for number in range(3)] == [0.0, 0.3, 0.2]


def test_every_constant_is_there_and_tried_at_its_value() -> None:
    """A constant that was renamed or moved off the grid would be measured in vain."""
    for module, name, values in GRID:
        assert getattr(module, name) in values
