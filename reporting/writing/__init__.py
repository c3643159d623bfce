"""Writers: the page, the JSON document, JUnit, the terminal, and the timeline as a drawing."""
