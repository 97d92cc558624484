"""No revision is asked for here."""
