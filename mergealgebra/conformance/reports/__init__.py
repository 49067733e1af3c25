"""How a verdict is shown: `tables` of text, `junit` for build servers, `page` as HTML, `matrix` for many verdicts."""
