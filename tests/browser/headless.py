"""A real browser without a window: it opens a file, and says what became of it."""

import html
import re
import subprocess
import tempfile
from pathlib import Path

_WAIT_SECONDS = 90
# Collects what goes wrong, plays a person, and leaves an account in the page.
_BEFORE = "<script>window.wrong=[];addEventListener('error',e=>wrong.push(String(e.message)));</script>"
_AFTER = """<script>
const account = {{}};
{play}
account.wrong = wrong;
const note = document.createElement("pre");
note.id = "account";
note.textContent = JSON.stringify(account);
document.body.append(note);
</script>"""


def chromium(*arguments: str) -> str:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--hide-scrollbars", f"--user-data-dir={home}", *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_WAIT_SECONDS)
    return done.stdout


def play(page: Path, script: str, size: tuple[int, int] = (1280, 1000)) -> str:
    """Open a copy of a page, run a script in it, and return its account as JSON."""
    text = page.read_text()
    copy = page.with_suffix(".play.html")
    copy.write_text(
        text.replace("<style>", _BEFORE + "<style>", 1).replace("</body>", _AFTER.format(play=script) + "</body>")
    )
    dom = chromium(f"--window-size={size[0]},{size[1]}", "--dump-dom", copy.as_uri())
    found = re.search(r'<pre id="account">(.*?)</pre>', dom, re.DOTALL)
    assert found, "the script did not come to its end"
    return html.unescape(found[1])


def screenshot(page: Path, to: Path, *arguments: str, size: tuple[int, int] = (1280, 1000)) -> None:
    chromium(f"--window-size={size[0]},{size[1]}", f"--screenshot={to}", *arguments, page.as_uri())


def text_on_paper(page: Path) -> str:
    """Print a page and return what can be read on it, in one line."""
    sheet = page.with_suffix(".pdf")
    chromium("--no-pdf-header-footer", f"--print-to-pdf={sheet}", page.as_uri())
    done = subprocess.run(
        ["pdftotext", str(sheet), "-"], check=True, capture_output=True, text=True, timeout=_WAIT_SECONDS
    )
    return " ".join(done.stdout.split())


def printed(page: Path, to: Path) -> None:
    """Print a page and picture its first sheet."""
    sheet = to.with_suffix(".pdf")
    chromium("--no-pdf-header-footer", f"--print-to-pdf={sheet}", page.as_uri())
    command = ["pdftoppm", "-png", "-r", "80", "-f", "1", "-l", "1", "-singlefile", str(sheet), str(to.with_suffix(""))]
    subprocess.run(command, check=True, timeout=_WAIT_SECONDS)
    sheet.unlink()


DARK = "--blink-settings=preferredColorScheme=0"
