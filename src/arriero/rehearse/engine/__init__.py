"""A simulated Ollama server: its API byte for byte as recorded, with load times and token pace set by a profile.

It imports the standard library only and little of it, for one process runs per target. Start with `main.py`.

It speaks as 0.32.15. What 0.17.4 was recorded to do otherwise: any model embeds (here only those made for it, else 501,
or 500 on the old path); a bad name is 404 "not found", not 400 "invalid model name"; an unknown model on `/v1` has the
type "api_error", not "not_found_error"; `/v1` streams carry the role in every chunk, not the first; `/api/show` names a
missing model as written, not with its tag; a long prompt is cut to the whole context, not to half of it; `truncate:
false` says "the input length exceeds the context length"; tags show neither capabilities nor context_length.
"""
