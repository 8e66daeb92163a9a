"""Money, pure: what a plan will cost. A price without a source is unknown, never guessed."""
