"""The rules that arriero has by itself: a file a subject, each with its RULES. None of them asks a cloud or a clock."""
