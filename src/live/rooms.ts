import type { Interest } from './broadcast/interest.ts';
import { shardOf } from './broadcast/shard.ts';
import { Room } from './room.ts';

/** The rooms of a node: one for each chat that has a member or a follower with an open stream on this node. */
export class Rooms {
  readonly #rooms = new Map<bigint, Room>();
  readonly #interest: Interest;

  /** Every room is reported to `interest`. */
  constructor(interest: Interest) {
    this.#interest = interest;
  }

  get(chatId: bigint | null): Room | undefined {
    return chatId === null ? undefined : this.#rooms.get(chatId);
  }

  /** Returns the existing rooms of these chats. */
  among(chatIds: readonly bigint[]): Room[] {
    return chatIds.map((chatId) => this.#rooms.get(chatId)).filter((room) => room !== undefined);
  }

  /** Returns the chat's room, which is created if necessary. */
  open(chatId: bigint): Room {
    let room = this.#rooms.get(chatId);
    if (room === undefined) {
      room = new Room(chatId);
      this.#rooms.set(chatId, room);
      this.#interest.add(shardOf(chatId));
    }
    return room;
  }

  dropIfEmpty(room: Room | undefined): void {
    if (room?.isEmpty === true && this.#rooms.delete(room.chatId)) this.#interest.remove(shardOf(room.chatId));
  }

  clear(): void {
    for (const chatId of this.#rooms.keys()) this.#interest.remove(shardOf(chatId));
    this.#rooms.clear();
  }
}
