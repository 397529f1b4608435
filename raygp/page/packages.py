"""What a page is made with, for those who only ask whether it is there."""

PACKAGES = ("jinja2", "vl_convert")
"""Modules of the extra ``report``."""
