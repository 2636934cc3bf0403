"""Studies: what is written of maps, their network and their pictures, as a folder or as one page.

record    what a study says, as data: study.json
page      what the page of a study needs besides
folder    the study as a folder: study.json, arrays, sheets and a page
single    the study as one page
files     what is written takes its place only when it is whole
"""
