"""The folder `pages` holds pages for the tests of the site, which are no tests themselves."""

collect_ignore = ["pages"]
