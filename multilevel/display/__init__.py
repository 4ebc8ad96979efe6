"""Tables and numbers as they are shown: text, HTML, LaTeX."""
