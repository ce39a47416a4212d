"""Pictures, pages and tables of results.

    results     printing, pictures and files of each type of result     tables      answers as text in a terminal
    pictures    one kind of answer each, as a picture                   sheets      pages of many maps
    drawing     parts that pictures are made of                         kernel      a sliding kernel, animated
    report      one HTML page                                           formats     of files, by suffix
    output      files, whole or not at all                              saving      what a type of result is written as

Importing this folder loads nothing; `drawing`, `formats`, `kernel`, `report` and `sheets` take plain numpy data.
"""
