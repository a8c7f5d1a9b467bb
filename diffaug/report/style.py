"""The colours of arms and verdicts, and the format of numbers."""

COLORS = {"real": "#6b7280", "merged": "#2563eb", "helped": "#2a7f3e", "hurt": "#b3261e"}
PLAIN = "#555555"  # for other verdicts


def about(points: float) -> str:
    """A number that is only approximate, with one digit, or as a whole number."""
    return "-" if points == 0 else f"about {points:.0f}" if points >= 1 else f"about {points:.1g}"


def p_value(p: float) -> str:
    """With three digits, or "< 0.001"."""
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"
