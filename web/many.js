// Sorting and filtering the table; what it holds is replaced when new pictures come.
const rows = () => [...element.querySelectorAll("tbody tr")];
const number = new Intl.Collator(undefined, { numeric: true });

function filter() {
  const text = element.querySelector(".find")?.value.trim().toLowerCase() ?? "";
  const verdict = element.querySelector(".verdicts")?.value ?? "";
  let count = 0;
  for (const row of rows()) {
    const fits = row.dataset.text.includes(text) && (!verdict || row.dataset.verdict === verdict);
    row.hidden = !fits;
    count += fits;
  }
  const status = element.querySelector(".count");
  if (status) status.textContent = count + " of " + rows().length + " shown";
}

function sort(button) {
  const head = button.closest("th"), column = [...head.parentNode.children].indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.children[column].dataset.key ?? row.children[column].textContent;
  const sorted = rows().sort((a, b) => number.compare(key(a), key(b)) * (down ? -1 : 1));
  element.querySelector("tbody").append(...sorted);
}

element.addEventListener("input", filter);
element.addEventListener("click", (event) => {
  const button = event.target.closest("th button");
  if (button) sort(button);
});
