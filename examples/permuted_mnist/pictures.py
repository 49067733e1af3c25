"""The two pictures of the demo: how good each model is, and what TIES had to settle."""

from __future__ import annotations

from bars import Bar, Chart
from conflicts import Votes

#: What each kind of vote is called, by its colour.
VOTES = {
    "faint": "nobody changes it",
    "plain": "one fine-tune does",
    "agree": "several, in one direction",
    "bad": "several, in opposite directions",
}


def mean(scores: list[float]) -> float:
    return sum(scores) / len(scores)


def accuracy_chart(rows: dict[str, list[float]], kinds: dict[str, str]) -> Chart:
    """A bar for each model: the mean over the tasks, and a dot for each task. rows: percents. kinds: colours."""
    bars = [
        Bar(name, [(kinds.get(name, "plain"), mean(scores))], f"{mean(scores):.1f}", scores)
        for name, scores in rows.items()
    ]
    words = "; ".join(f"{bar.label} {bar.value}" for bar in bars)
    return Chart(
        "How many digits a model recognises",
        "Percent of 1,300 test images of each task; a bar is the mean of the eight tasks",
        f"Mean accuracy over eight tasks, in percent: {words}.",
        bars,
        {"dot": "one task", "best": "the model they agree on", "bad": "the same with one mistake in it"},
    )


def conflicts_chart(layers: dict[str, Votes], fine_tunes: int, density: str) -> Chart:
    """A bar for each layer: its parameters by who changes them."""
    bars = [
        Bar(f"{layer}, {votes.parameters:,}", list(zip(VOTES, shares(votes), strict=True)), f"{shares(votes)[-1]:.1f}%")
        for layer, votes in layers.items()
    ]
    words = "; ".join(f"{layer} {shares(votes)[-1]:.1f}% of {votes.parameters:,}" for layer, votes in layers.items())
    return Chart(
        "Where the fine-tunes contradict one another",
        f"Parameters of each layer by who changes them; counted is what TIES keeps of {fine_tunes} fine-tunes, "
        f"{float(density):.0%} of each",
        f"Share of the parameters that fine-tunes change in opposite directions, by layer: {words}.",
        bars,
        VOTES,
    )


def shares(votes: Votes) -> list[float]:
    """The votes in the order of their kinds, in percent of the parameters."""
    return [100 * count / votes.parameters for count in vars(votes).values()]
