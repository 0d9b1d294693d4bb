"""The admission of requests: what can not work is refused where it is known, with what to do."""
