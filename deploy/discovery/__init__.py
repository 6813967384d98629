"""A settings file from what is found on a host.

`facts` reads it, `deciding` makes settings of it, each with its reason, `drift` compares them with those of a file.
"""
