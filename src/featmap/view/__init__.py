"""Pictures, pages and tables of results.

    results     printing, pictures and files of each type of result     tables      answers as text in a terminal
    pictures    one kind of answer each, as a picture                   sheets      pages of many maps
    drawing     parts that pictures are made of                         kernel      a sliding kernel, animated
    report      one HTML page                                           output      files, whole or not at all

Importing this folder loads nothing; `drawing`, `kernel`, `report` and `sheets` take plain numpy data.
"""
