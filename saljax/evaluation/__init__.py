"""Methods judged by metrics on many images: cases, rows, measures, tables."""
