"""Formula text to frozen records: patsy's grammar plus lme4's bars."""
