"""The answer of an experiment: recorded rows in, tables and figures out, as JSON, Markdown and one page of HTML."""
