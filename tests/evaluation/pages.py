"""What a test sees of a page."""

import html.parser

VOID = ("meta", "link", "img", "br")


class Page(html.parser.HTMLParser):
    """The text of a page, its pictures, and all addresses that it names."""

    def __init__(self, text):
        super().__init__()
        self.text, self.pictures, self.addresses, self.open = "", [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.pictures.append(attributes["alt"])
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
