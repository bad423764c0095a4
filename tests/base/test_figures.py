"""What a process counts, and how it travels."""

from lanying.base.figures import Figure, labelled, totals

COUNTED = [Figure("messages", 7.0), *labelled("messages", "kind", {"chat": 4, "group": 3}), Figure("sessions", 5.0)]


def test_a_total_has_no_labels():
    assert totals(COUNTED) == {"messages": 7.0, "sessions": 5.0}
