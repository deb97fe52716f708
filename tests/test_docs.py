"""The built documentation, as a browser sees it: links, formulas, widths."""
