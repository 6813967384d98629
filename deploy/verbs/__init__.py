"""The roads that the verbs take: read, decide, carry out, prove. `session` is what they share."""
