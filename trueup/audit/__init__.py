"""One-shot audits: walk every table, settle every suspect, and say with evidence what was found."""
