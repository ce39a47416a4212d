"""Pictures of numbers: every file turns plain numpy data into one kind of picture or page.

    maps            pages of feature maps                       explain         the arithmetic of one value
    contributions   what every input map adds to one map        overlay         boxes on a photograph
    report          a page of HTML in one file                  output          pictures to files, whole or not at all

The rest are their parts. Maps: summary, order, scale, palette, tile, grid, header, sheet. Explain: arithmetic,
explain_layout, cells, flow. Overlay: enlarge, hatch, panel. Report: report_blocks, report_figure, report_style. All:
text. Nothing here imports torch, and nothing is imported before it is asked for.
"""
