(** Trim: keep the largest magnitudes of a group of elements [TI-2 to TI-5].

    Every fp32 number is a whole number of units of 2^-149, so an element is an integer here, and a group is the list
    of its elements in canonical order. What is dropped becomes 0, and a zero is never kept: an element is kept
    exactly when it is not 0 in the result. *)

From Coq Require Import ZArith List Bool Orders Sorting.Mergesort.
Import ListNotations.
Open Scope Z_scope.

Inductive boundary : Set := KeepAll | LowestIndex.

(** How many elements, and how many of them with a property. *)
Fixpoint count (p : Z -> bool) (xs : list Z) : Z :=
  match xs with
  | [] => 0
  | x :: rest => (if p x then 1 else 0) + count p rest
  end.

Definition size : list Z -> Z := count (fun _ => true).
Definition nonzero (x : Z) : bool := negb (x =? 0).
Definition above (t x : Z) : bool := t <? Z.abs x.
Definition tied (t x : Z) : bool := Z.abs x =? t.
Definition at_least (t x : Z) : bool := t <=? Z.abs x.

(** m = max(1, floor(rho * d)), with the density rho = num / den [TI-3]. *)
Definition kept_count (num den d : Z) : Z := Z.max 1 (num * d / den).

(** Magnitudes, the largest first. *)
Module Descending <: TotalLeBool.
  Definition t := Z.
  Definition leb (x y : Z) : bool := y <=? x.
  Lemma leb_total : forall x y, leb x y = true \/ leb y x = true.
  Proof. intros x y. unfold leb. rewrite !Z.leb_le. apply Z.le_ge_cases. Qed.
End Descending.
Module DescendingSort := Sort Descending.

Definition ranked (xs : list Z) : list Z := DescendingSort.sort (map Z.abs xs).

(** The k-th of a list, from 1; 0 behind its end. *)
Fixpoint pick (k : Z) (xs : list Z) : Z :=
  match xs with
  | [] => 0
  | x :: rest => if k <=? 1 then x else pick (k - 1) rest
  end.

(** t, the m-th largest magnitude [TI-3]. *)
Definition threshold (m : Z) (xs : list Z) : Z := pick m (ranked xs).

(** Boundary keep_all: all elements with a magnitude of at least t [TI-4]. *)
Definition keep_all (t : Z) (xs : list Z) : list Z := map (fun x => if at_least t x then x else 0) xs.

(** Boundary lowest_index: all above t, and the first so many of those equal to t [TI-5]. *)
Fixpoint keep_first (t ties : Z) (xs : list Z) : list Z :=
  match xs with
  | [] => []
  | x :: rest =>
      if above t x then x :: keep_first t ties rest
      else if tied t x && (0 <? ties) then x :: keep_first t (ties - 1) rest
      else 0 :: keep_first t ties rest
  end.

(** A group trimmed to its m largest magnitudes [TI-4, TI-5]. *)
Definition trim (rule : boundary) (m : Z) (xs : list Z) : list Z :=
  let t := threshold m xs in
  match rule with
  | KeepAll => keep_all t xs
  | LowestIndex => keep_first t (m - count (above t) xs) xs
  end.

(** A group trimmed to a density num / den [TI-2 to TI-5]. *)
Definition trim_group (rule : boundary) (num den : Z) (xs : list Z) : list Z :=
  trim rule (kept_count num den (size xs)) xs.

(** How many elements go before element i: those with a larger magnitude and, where ties are cut, those with the same
    magnitude and a lower index. *)
Definition rank (rule : boundary) (xs : list Z) (i : nat) : Z :=
  let magnitude := Z.abs (nth i xs 0) in
  count (above magnitude) xs +
  match rule with KeepAll => 0 | LowestIndex => count (tied magnitude) (firstn i xs) end.

(** What the code does: it holds a threshold t >= 1, perhaps an old one, and perhaps a position in the group before
    which elements equal to t are kept (`algebra/trim.py: trim, Threshold`; `engine/groups.py: Found`). *)
Fixpoint cut_before (t position : Z) (xs : list Z) : list Z :=
  match xs with
  | [] => []
  | x :: rest => (if above t x || (tied t x && (0 <? position)) then x else 0) :: cut_before t (position - 1) rest
  end.

Definition keep (t : Z) (cut : option Z) (xs : list Z) : list Z :=
  match cut with
  | None => keep_all t xs
  | Some position => cut_before t position xs
  end.

(** How the code proves a threshold, by what it kept and what lay above it (`algebra/trim.py: holds`). *)
Definition holds (t : Z) (cut : bool) (rule : boundary) (m kept over : Z) : bool :=
  if m <=? over then false
  else if cut then match rule with LowestIndex => kept =? m | KeepAll => false end
  else if kept <? m then t =? 1
  else match rule with LowestIndex => kept =? m | KeepAll => true end.

Definition is_cut (cut : option Z) : bool := match cut with Some _ => true | None => false end.

(** Magnitudes from low to high, as in a bin of a histogram (`algebra/trim.py: Window, locate`). *)
Definition in_bin (low high x : Z) : bool := at_least low x && negb (above high x).

(** The elements of a group in a given order of coordinates. *)
Definition reorder (order : list nat) (xs : list Z) : list Z := map (fun i => nth i xs 0) order.

Definition scale (k : Z) : list Z -> list Z := map (Z.mul k).
