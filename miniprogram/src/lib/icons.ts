/** The drawing beside a choice. A choice without one is shown by its words alone. */
const DRAWN: Record<string, string> = {
  top_up: 'yuan',
  balance: 'wallet',
  ask_family: 'family',
  history: 'list',
  agent: 'phone',
  help: 'help',
  bind_card: 'card',
  repeat: 'speaker',
  again: 'mic',
}

export function iconOf(choice: string): string {
  const name = choice.split(':')[0]
  return DRAWN[name] ?? (name === 'card' || name === 'card_at' ? 'card' : '')
}
