"""Figures in executed pages: drawn in the page, as vectors."""

c = get_config()  # noqa: F821
c.IPKernelApp.matplotlib = "inline"
c.InlineBackend.figure_formats = {"svg"}
c.IPKernelApp.log_level = 40
