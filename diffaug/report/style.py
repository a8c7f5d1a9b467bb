"""One way to colour arms and verdicts, and to write a p-value."""

COLORS = {"real": "#6b7280", "merged": "#2563eb", "helped": "#2a7f3e", "hurt": "#b3261e"}
PLAIN = "#555555"  # of a verdict that is neither


def p_value(p: float) -> str:
    """With three digits, or as below 0.001."""
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"
