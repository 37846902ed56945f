"""What stands on a report's page, and a text that must not become a part of it."""

from html.parser import HTMLParser

NASTY = "<script>alert('x')</script> & | `b`\n# \"q\""


class Page(HTMLParser):
    """What stands on a page: headings, text, ids, scripts, addresses it would fetch, tags left open."""

    def __init__(self, html):
        super().__init__()
        self.headings, self.ids, self.scripts, self.fetched, self.open, self.text = [], [], [], [], [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.fetched += [attrs[key] for key in ("src", "href") if key in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] == "h2":
            self.headings.append(data)
        if "style" not in self.open and "script" not in self.open:
            self.text += f"{data} "
