import matplotlib.image
import pytest

from pipeline.training.curves import plot_history


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("prefixes", [("",), ("", "val_")], ids=["training", "both"])
def test_curves_of_any_length_with_and_without_validation(tmp_path, epochs, prefixes):
    columns = [prefix + name for prefix in prefixes for name in ("loss", "accuracy")]
    rows = [
        {"epoch": float(epoch)} | dict.fromkeys(columns, 1 / epoch)
        for epoch in range(1, epochs + 1)
    ]

    plot_history(rows, tmp_path / "curves.png")

    pixels = matplotlib.image.imread(tmp_path / "curves.png")[..., :3]
    blue, orange = (0.12, 0.47, 0.71), (1.0, 0.5, 0.05)
    for colour, expected in ((blue, True), (orange, "val_loss" in columns)):
        assert (abs(pixels - colour).max(axis=-1) < 0.02).any() == expected
