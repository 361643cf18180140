"""Reads a page on stdin as browsers do (html5lib) and prints one JSON object: what in it could act, and what a reader sees."""

import base64
import hashlib
import json
import re
import sys

import html5lib

bytes = sys.stdin.buffer.read()
parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False)
document = parser.parse(bytes, transport_encoding="utf-8")
elements = [element for element in document.iter() if isinstance(element.tag, str)]
names = sorted({element.tag.rpartition("}")[2] for element in elements})
attributes = sorted({name.rpartition("}")[2] if "}" in name else name for element in elements for name in element.attrib})
policies = [e.attrib["content"] for e in elements if e.attrib.get("http-equiv", "").lower() == "content-security-policy"]
styles = [element.text or "" for element in elements if element.tag == "style"]
print(
    json.dumps(
        {
            "errors": [f"{position}: {code}" for position, code, _ in parser.errors],
            "elements": names,
            "attributes": attributes,
            "policies": policies,
            "style_hashes": ["sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in styles],
            "style_references": [found for style in styles for found in re.findall(r"url\s*\(|@import|expression|javascript:", style)],
            "inline_styles": [element.attrib["style"] for element in elements if "style" in element.attrib],
            "isolated": ["".join(element.itertext()) for element in elements if element.tag == "bdi"],
            "text": "".join(document.find("body").itertext()),
            "unsafe_characters": sorted(
                {
                    f"{ord(character):x}"
                    for character in bytes.decode("utf-8")
                    if character != "\n"
                    and (
                        ord(character) < 0x20
                        or 0x7F <= ord(character) <= 0x9F
                        or character in "\u061c\u200e\u200f\u2028\u2029\ufeff"
                        or "\u202a" <= character <= "\u202e"
                        or "\u2066" <= character <= "\u2069"
                    )
                }
            ),
        }
    )
)
