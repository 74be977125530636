#!/usr/bin/env python3
"""What warcio sees in WARC files: one JSON list of records. Needs warcio.

  warc.py FILE...
"""
import hashlib
import json
import sys

from warcio.archiveiterator import ArchiveIterator

records = []
for path in sys.argv[1:]:
    with open(path, "rb") as stream:
        for record in ArchiveIterator(stream, check_digests="raise"):
            body = record.content_stream().read()
            found = {"type": record.rec_type, "uri": record.rec_headers.get_header("WARC-Target-URI")}
            if record.rec_type == "response":
                checker = record.digest_checker
                found |= {
                    "status": record.http_headers.get_statuscode(),
                    "sha256": hashlib.sha256(body).hexdigest(),
                    "digest_holds": bool(checker is None or checker.passed),
                }
            records.append(found)
print(json.dumps(records))
