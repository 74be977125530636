#!/usr/bin/env python3
"""A page with one table of many rows and three columns, to standard output:   large_page.py ROWS"""
import sys

rows = int(sys.argv[1])
print('<!DOCTYPE html><html><head><meta charset="utf-8"><title>large</title></head><body><table><thead><tr><th>id</th><th>name</th><th>price</th></tr></thead><tbody>')
for n in range(1, rows + 1):
    print(f"<tr><td>{n}</td><td>name of {n}</td><td>{n / 100:.2f}</td></tr>")
print("</tbody></table></body></html>")
