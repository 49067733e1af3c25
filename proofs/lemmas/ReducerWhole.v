(** The whole reducer, coordinate by coordinate. *)

From Coq Require Import ZArith Reals List Bool Lia Permutation.
From MergeAlgebra.Definitions Require Import Bits Rounding Reducer ReducerModel.
From MergeAlgebra.Definitions Require Trim Ties.
From MergeAlgebra.Lemmas Require Import RoundingLaws ReducerLists ReducerCoordinate.
From MergeAlgebra.Lemmas Require TiesSums TiesMean.
Import ListNotations.
Open Scope Z_scope.

(** * Lengths *)

Lemma read_tensor_length {A} (absent : A) read k b h : same_size b h = true ->
  length (read_tensor absent read k b h) = length (snd b).
Proof.
  destruct h as [t|]; cbn [same_size read_tensor]; [|intros _; apply map_length].
  intros size%Nat.eqb_eq. apply zip_length. congruence.
Qed.

Lemma coordinates_length b : length (coordinates b) = length (concat (map snd b)).
Proof.
  unfold coordinates. induction b as [|t b IH]; cbn; [reflexivity|]. now rewrite !app_length, map_length, IH.
Qed.

Lemma read_all_length {A} (absent : A) read b c : fits b c = true ->
  length (concat (read_all absent read b c)) = length (coordinates b).
Proof.
  rewrite coordinates_length. unfold fits, read_all. intros [size same]%andb_prop. apply Nat.eqb_eq in size.
  revert size same. generalize (held c). induction b as [|t b IH]; intros [|h hs]; cbn; intros [=] same; [reflexivity|].
  apply andb_prop in same as [first rest]. rewrite !app_length, read_tensor_length by exact first. f_equal. now apply IH.
Qed.

Lemma elements_length m b c : fits b c = true -> length (concat (elements m b c)) = length (coordinates b).
Proof. apply read_all_length. Qed.

Lemma refill_length es ns : length (refill es ns) = length es.
Proof. revert ns. induction es as [|[| |n] es IH]; intros [|m ns]; cbn; now rewrite ?IH. Qed.

Lemma trimmed_length m es : length (trimmed m es) = length (concat es).
Proof.
  assert (group : forall rule num den e, length (trimmed_group rule num den e) = length e)
    by (intros; apply refill_length).
  destruct m as [rule num den [|]| | | | |]; cbn [trimmed]; try apply refill_length.
  induction es as [|e es IH]; cbn; [reflexivity|]. now rewrite !app_length, group, IH.
Qed.

(** * Checked requests *)

(** What is checked before any task vector is looked at. *)
Definition ready (r : request) (l : Z) : Prop :=
  numerator (of_bits F32 (lambda_bits r)) = Some l
  /\ forallb (fits (base r)) (contributions r) = true
  /\ contributions r <> []
  /\ Forall (fun c => usable (how r) (coefficient_bits c) = Some (coefficient_of c)) (contributions r).

Definition size_of (r : request) : nat := length (coordinates (base r)).

Definition outcome_at (r : request) (l : Z) (i : nat) : Z + fault :=
  coordinate (how r) l (nth i (coordinates (base r)) (F32, 0)) (column_at r i).

Lemma usable_is m bits n : usable m bits = Some n -> numerator (of_bits F32 bits) = Some n.
Proof.
  unfold usable. destruct (numerator _) as [k|]; [|discriminate]. destruct (_ || _); [|discriminate]. now intros [= ->].
Qed.

Lemma usable_coefficient m c n : usable m (coefficient_bits c) = Some n -> coefficient_of c = n.
Proof. intros found. unfold coefficient_of. now rewrite (usable_is _ _ _ found). Qed.

Lemma coefficients_usable r cs : coefficients r = inl cs ->
  cs = map coefficient_of (contributions r)
  /\ Forall (fun c => usable (how r) (coefficient_bits c) = Some (coefficient_of c)) (contributions r).
Proof.
  unfold coefficients. intros found%all_right. revert cs found.
  induction (contributions r) as [|c rest IH]; intros [|n cs]; cbn [map]; try discriminate; [easy|].
  destruct (usable _ _) as [k|] eqn:this; [|discriminate]. intros [= -> others].
  apply IH in others as [-> all]. apply usable_coefficient in this as is.
  split; [now rewrite is|]. constructor; [now rewrite is|exact all].
Qed.

Lemma usable_coefficients r :
  Forall (fun c => usable (how r) (coefficient_bits c) = Some (coefficient_of c)) (contributions r) ->
  coefficients r = inl (map coefficient_of (contributions r)).
Proof.
  intros all. unfold coefficients. rewrite <- (all_right_back (B := unit) (map coefficient_of (contributions r)) 0).
  f_equal. rewrite map_map. apply map_ext_Forall. revert all. apply Forall_impl. now intros c ->.
Qed.

Lemma rows_fit {A} r (f : contribution -> list A) :
  (forall c, fits (base r) c = true -> length (f c) = length (coordinates (base r))) ->
  forallb (fits (base r)) (contributions r) = true ->
  Forall (fun row => length row = size_of r) (map f (contributions r)).
Proof.
  intros sizes all. rewrite forallb_forall in all. apply Forall_forall. intros row [c [<- member]]%in_map_iff. auto.
Qed.

Lemma element_columns r : forallb (fits (base r)) (contributions r) = true ->
  columns (size_of r) (map (@concat element) (map (elements (how r) (base r)) (contributions r)))
  = map (elements_at r) (seq 0 (size_of r)).
Proof.
  intros all. rewrite map_map, (columns_are _ _ Absent) by now apply rows_fit; [intros; apply elements_length|].
  apply map_ext. intros i. now rewrite map_map.
Qed.

Lemma own_columns r : forallb (fits (base r)) (contributions r) = true ->
  columns (size_of r) (map (fun c => concat (read_all NotHeld own_bits (base r) c)) (contributions r))
  = map (owns_at r) (seq 0 (size_of r)).
Proof.
  intros all. rewrite (columns_are _ _ NotHeld) by now apply rows_fit; [intros; apply read_all_length|].
  apply map_ext. intros i. now rewrite map_map.
Qed.

Lemma scaled_columns r : forallb (fits (base r)) (contributions r) = true ->
  columns (size_of r)
    (scaled_rows (how r) (map (elements (how r) (base r)) (contributions r)) (map coefficient_of (contributions r)))
  = map (column_at r) (seq 0 (size_of r)).
Proof.
  intros all. unfold scaled_rows. rewrite zip_map.
  assert (sizes : forall c, fits (base r) c = true -> length (concat (elements (how r) (base r) c)) = size_of r)
    by (intros c fit; now apply elements_length).
  rewrite (columns_are _ _ (scaled 0 0)).
  2: { apply rows_fit; [|exact all]. intros c fit. specialize (sizes c fit). rewrite zip_length; [exact sizes|].
       symmetry. apply trimmed_length. }
  apply map_ext_in. intros i [_ below]%in_seq. unfold column_at. rewrite map_map. apply map_ext_in. intros c member.
  rewrite forallb_forall in all. specialize (sizes c (all c member)). apply nth_error_nth. rewrite zip_nth.
  rewrite (nth_error_nth' _ Absent), (nth_error_nth' (trimmed _ _) 0) by (rewrite ?trimmed_length; lia). reflexivity.
Qed.

Lemma zip_with_map {A B C} (f : A -> B -> C) d (xs : list A) (g : nat -> B) :
  zip_with f xs (map g (seq 0 (length xs))) = map (fun i => f (nth i xs d) (g i)) (seq 0 (length xs)).
Proof.
  rewrite <- zip_map. f_equal. apply same_elements. intros i. rewrite nth_error_map.
  destruct (nth_error (seq 0 (length xs)) i) as [k|] eqn:at_i; cbn.
  - apply nth_error_nth with (d := 0%nat) in at_i as is.
    assert (below : (i < length xs)%nat) by (rewrite <- (seq_length (length xs) 0); now apply nth_error_Some; rewrite at_i).
    rewrite seq_nth in is by exact below. subst k. now apply nth_error_nth'.
  - apply nth_error_None in at_i. rewrite seq_length in at_i. now apply nth_error_None.
Qed.

(** A checked request: first the task vectors, then the coordinates, each in order. *)
Lemma reduce_ready r l : ready r l -> reduce r =
  match all_or_first 0 (map (fun i => fault_of_taus (elements_at r i)) (seq 0 (size_of r))) with
  | inr (position, fault) => NotFiniteAt position fault
  | inl _ =>
      match all_or_first 0 (map (outcome_at r l) (seq 0 (size_of r))) with
      | inr (position, fault) => NotFiniteAt position fault
      | inl bits => Merged (cut_like (map snd (base r)) (finished r bits))
                           (map (kept_of (how r)) (map (elements (how r) (base r)) (contributions r)))
      end
  end.
Proof.
  intros (lambda & fit & some & usables). unfold reduce. rewrite lambda, fit.
  rewrite usable_coefficients by exact usables.
  assert (nonempty : map coefficient_of (contributions r) <> []) by now destruct (contributions r).
  destruct (map coefficient_of (contributions r)) as [|n cs] eqn:are; [contradiction|]. rewrite <- are.
  change (length (coordinates (base r))) with (size_of r).
  rewrite element_columns, scaled_columns by exact fit. rewrite map_map.
  unfold size_of at 2. rewrite (zip_with_map _ (F32, 0)). reflexivity.
Qed.

(** An answer about numbers comes from a checked request. *)
Lemma about_numbers r : (exists tensors kept, reduce r = Merged tensors kept) \/
  (exists position what, reduce r = NotFiniteAt position what) -> exists l, ready r l.
Proof.
  unfold reduce. intros answered.
  destruct (numerator (of_bits F32 (lambda_bits r))) as [l|] eqn:lambda;
    [|exfalso; destruct answered as [(? & ? & [=])|(? & ? & [=])]].
  destruct (forallb _ _) eqn:fit; [|exfalso; destruct answered as [(? & ? & [=])|(? & ? & [=])]].
  destruct (coefficients r) as [cs|[place u]] eqn:found; [|exfalso; destruct answered as [(? & ? & [=])|(? & ? & [=])]].
  apply coefficients_usable in found as [-> all].
  exists l. repeat split; try assumption. intros none. rewrite none in answered.
  destruct answered as [(? & ? & [=])|(? & ? & [=])].
Qed.

(** * What is merged *)

(** What is copied at a coordinate, by a method that copies. *)
Definition finished_at (r : request) (i : nat) (b merged : Z) : Z :=
  if on_theta (how r) then copied (b, merged) (owns_at r i) else merged.

Lemma finished_length r bits : forallb (fits (base r)) (contributions r) = true -> length bits = size_of r ->
  length (finished r bits) = size_of r.
Proof.
  intros all size. unfold finished. destruct (on_theta (how r)); [|exact size].
  assert (length (combine (map snd (coordinates (base r))) bits) = size_of r) as both
    by (rewrite combine_length, map_length, size; apply Nat.min_id).
  rewrite zip_length; [exact both|]. rewrite both, map_length. fold (size_of r).
  rewrite own_columns by exact all. now rewrite map_length, seq_length.
Qed.

Lemma finished_nth r bits i d b x : forallb (fits (base r)) (contributions r) = true -> length bits = size_of r ->
  nth_error (coordinates (base r)) i = Some (d, b) -> nth_error bits i = Some x ->
  nth_error (finished r bits) i = Some (finished_at r i b x).
Proof.
  intros all size at_b at_x. unfold finished, finished_at. destruct (on_theta (how r)); [|exact at_x].
  assert (below : (i < size_of r)%nat) by (apply nth_error_Some; now rewrite at_b).
  rewrite map_length. fold (size_of r). rewrite own_columns by exact all.
  rewrite zip_nth, nth_error_map, (nth_error_nth' (seq 0 (size_of r)) 0%nat) by now rewrite seq_length.
  rewrite seq_nth by exact below. cbn [option_map Nat.add].
  assert (pairs : forall (bs xs : list Z) k, nth_error (combine bs xs) k =
    match nth_error bs k, nth_error xs k with Some y, Some z => Some (y, z) | _, _ => None end).
  { induction bs as [|y bs IH]; intros [|z xs] [|k]; cbn; try reflexivity; [|apply IH]. now destruct (nth_error bs k). }
  now rewrite pairs, nth_error_map, at_b, at_x.
Qed.

Lemma merged_coordinate r tensors kept : reduce r = Merged tensors kept ->
  exists l, ready r l /\
  forall i d b, nth_error (coordinates (base r)) i = Some (d, b) ->
    exists merged, coordinate (how r) l (d, b) (column_at r i) = inl merged
      /\ nth i (concat tensors) 0 = finished_at r i b merged.
Proof.
  intros merged. assert (exists l, ready r l) as [l checked] by (apply about_numbers; eauto).
  exists l. split; [exact checked|]. intros i d b at_i.
  rewrite (reduce_ready _ _ checked) in merged.
  destruct (all_or_first 0 (map (fun i => _) _)) as [none|[? ?]]; [|discriminate].
  destruct (all_or_first 0 (map (outcome_at r l) _)) as [bits|[? ?]] eqn:found; [|discriminate].
  injection merged as <- _. apply all_right in found.
  assert (below : (i < size_of r)%nat) by (apply nth_error_Some; now rewrite at_i).
  assert (length bits = size_of r) as size.
  { rewrite <- (map_length (@inl Z fault)), <- found, map_length. apply seq_length. }
  assert (fit : forallb (fits (base r)) (contributions r) = true) by apply checked.
  rewrite concat_cut_like by (rewrite finished_length by assumption; apply coordinates_length).
  assert (here : nth_error (map (outcome_at r l) (seq 0 (size_of r))) i = nth_error (map inl bits) i) by now rewrite found.
  rewrite !nth_error_map, (nth_error_nth' bits 0), (nth_error_nth' (seq 0 (size_of r)) 0%nat) in here
    by (rewrite ?seq_length; lia).
  rewrite seq_nth in here by exact below. cbn in here. injection here as here.
  unfold outcome_at in here. rewrite (nth_error_nth _ _ _ at_i) in here.
  exists (nth i bits 0). split; [exact here|]. apply nth_error_nth.
  apply (finished_nth r bits i d b _ fit size at_i). apply nth_error_nth'. lia.
Qed.

(** * Weights *)

Lemma usable_positive m bits n : m <> TaskArithmetic -> usable m bits = Some n -> 0 < n < 2 ^ 277.
Proof.
  intros divides found. pose proof (numerator_bound _ _ (usable_is _ _ _ found)) as bound. unfold usable in found.
  destruct (numerator _) as [k|]; [|discriminate].
  destruct m; try contradiction; cbn in found; rewrite orb_false_r in found;
    destruct (Z.ltb_spec 0 k); try discriminate; injection found as ->; lia.
Qed.

Lemma weight_cases m c e : weight m c e = c \/ (all_weigh m = false /\ e = Absent /\ weight m c e = 0).
Proof. destruct m, e; cbn; auto. Qed.

Lemma votes_weigh r l i : ready r l -> how r <> TaskArithmetic -> Z.of_nat (length (contributions r)) <= 2 ^ 800 ->
  has_weight (how r) (votes_at r i).
Proof.
  intros (_ & _ & some & usables) divides few. unfold has_weight, votes_at, column_at. rewrite map_map.
  assert (positive : Forall (fun c => 0 < coefficient_of c < 2 ^ 277) (contributions r)).
  { revert usables. apply Forall_impl. intros c. now apply usable_positive. }
  assert (weights : Forall (fun c => 0 <= weight_at r i c < 2 ^ 277) (contributions r)).
  { revert positive. apply Forall_impl. intros c range. unfold weight_at.
    destruct (weight_cases (how r) (coefficient_of c) (element_at r i c)) as [->|(_ & _ & ->)]; lia. }
  repeat split.
  - now destruct (contributions r).
  - apply Forall_map. revert weights. apply Forall_impl. intros c. cbn. lia.
  - intros all. apply Forall_map. revert positive. apply Forall_impl. intros c. cbn. unfold weight_at.
    destruct (weight_cases (how r) (coefficient_of c) (element_at r i c)) as [->|(none & _)]; [lia|congruence].
  - change (2 ^ 1077) with (2 ^ 800 * 2 ^ 277).
    transitivity (Z.of_nat (length (contributions r)) * 2 ^ 277); [|now apply Z.mul_le_mono_nonneg_r].
    clear - weights. induction weights as [|c rest [_ bound] _ IH]; [reflexivity|].
    cbn [map length]. rewrite TiesSums.total_coefficient_cons. cbn [Ties.coefficient vote_of scaled snd]. lia.
  - now rewrite map_length.
Qed.
