
const now = document.getElementById("now");
async function refresh() {
  try {
    const answer = await fetch("/status?part=true", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    const text = await answer.text();
    // Whoever marks a trace id to copy it must not lose the mark.
    if (!String(getSelection())) now.innerHTML = text;
    now.classList.remove("stale");
  } catch {
    now.classList.add("stale");
  }
  setTimeout(refresh, 2000);
}
setTimeout(refresh, 2000);
